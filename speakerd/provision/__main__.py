"""Run the provisioning; the card's own service does."""

import sys

from speakerd.provision.provision import main

if __name__ == "__main__":
    sys.exit(main())
