"""speakerd beside what people use today: the same stand-in, the same card, the same voice, measured from outside."""
