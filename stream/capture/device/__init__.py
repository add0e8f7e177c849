"""A microphone kept open: PortAudio's callback fills a ring, a thread watches the device, you iterate."""
