"""From records of published measurements to readings in this toolkit's own form."""
