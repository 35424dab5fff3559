"""Small widgets that Qt does not have: typeset mathematics, the scrubber, the γ slider."""
