"""Views draw what they are given and ask for changes through ...Requested signals."""
