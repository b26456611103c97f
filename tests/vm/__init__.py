"""The panel on a real kernel: the daemon in a virtual machine with simulated pins and loopback sound cards."""
