"""MQTT and Home Assistant: events, sound as it is on, probabilities, level and switches, through a broker."""
