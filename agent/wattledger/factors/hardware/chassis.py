"""What kind of machine a chassis is of.  Imports nothing: every meter asks at its start."""

# SMBIOS reference specification (DSP0134), System Enclosure or Chassis types.
CHASSIS = {
    "desktop": (3, 4, 5, 6, 13, 15, 16, 24, 34, 35, 36),
    "workstation": (7,),
    "laptop": (8, 9, 10, 11, 14, 30, 31, 32),
    "server": (17, 22, 23, 25, 28, 29),
}


def chassis_class(dmi_chassis_type: int | None) -> str:
    """What SMBIOS's chassis type comes to; one that says nothing (``Other``, ``Unknown``, none) is held to be a server."""
    return next((kind for kind, types in CHASSIS.items() if dmi_chassis_type in types), "server")
