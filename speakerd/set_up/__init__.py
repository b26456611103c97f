"""`speakerd setup`: from a fresh package to a speaker that talks."""
