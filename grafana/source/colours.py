"""What colour each thing has, on every dashboard alike.

Okabe and Ito's eight colours, which people with any colour blindness tell apart (Color Universal Design, 2008), less their black,
which a dark page swallows: grey stands in.  Colour is never the only sign: series have names, and what is modelled is dashed.
"""

from collections.abc import Mapping

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"

# A key is a series' name, or a pattern between slashes; a later one wins.
Colours = Mapping[str, str]

BY_COMPONENT: Colours = {
    "/^gpu/": VERMILLION, "/^cpu/": BLUE, "/^dram/": SKY, "/^accelerator/": ORANGE, "/^nic/": YELLOW,
    "/^storage/": PURPLE, "/^rest/": GREY,
}  # fmt: skip
BY_METHOD: Colours = {"/counter/": GREEN, "/integrated/": SKY, "/estimated/": ORANGE}
BY_USE: Colours = {"/active/": BLUE, "/held/": ORANGE}
BY_TOKEN: Colours = {"/prompt/": BLUE, "/generated/": GREEN, "/cached/": SKY, "/standby/": GREY, "/overhead/": ORANGE}
BY_BASIS: Colours = {"/location/": BLUE, "/market/": GREEN, "/average/": BLUE, "/marginal/": VERMILLION, "/forecast/": SKY}
BY_PLACE: Colours = {"/onsite/": BLUE, "/offsite/": SKY}
RESERVED: Colours = {
    "/^.idle/": GREY, "/^.agent/": PURPLE, "/^.unattributed/": YELLOW, "/^.other/": SKY, "/^.retired/": VERMILLION,
}  # fmt: skip

# Names that nobody knows beforehand (jobs, models, nodes): the last letter says the colour, so that a name has one everywhere.
BY_NAME: Colours = {
    "/[07elszELSZ]$/": BLUE, "/[18anvANV]$/": VERMILLION, "/[29brmBRM]$/": GREEN, "/[3ctkCTK]$/": ORANGE, "/[4doxDOX]$/": SKY,
    "/[5fgpyFGPY]$/": PURPLE, "/[6hijquwHIJQUW]$/": YELLOW, **RESERVED,
}  # fmt: skip

DASHED = ("/estimated/", "/forecast/")  # what a model says never looks like what a sensor says

# Of things that have a better and a worse side; each panel that uses them says where the sides meet, and why there.
GOOD, WATCH, BAD = GREEN, ORANGE, VERMILLION
