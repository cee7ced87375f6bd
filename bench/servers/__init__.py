"""The servers that Hector is measured against, and the way each is started."""
