"""What this machine is made of, as far as it says itself; and services that are asked what that emitted."""
