"""From records to pixels, without Qt and without torch: the screen without a screen."""
