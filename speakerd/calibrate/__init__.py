"""How this loudspeaker sounds to this microphone: `speakerd calibrate`."""
