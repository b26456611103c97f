"""What an owner has written on the card, taken in when it boots: `python -m speakerd.provision`."""
