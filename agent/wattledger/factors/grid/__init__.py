"""What a kilowatt-hour of a place weighs: annual tables, the zones of cloud regions."""
