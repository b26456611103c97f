"""What the numbers in the README come from: speakerd beside the least that can hold a conversation."""
