"""Rules of the detector for a budget of false alarms, chosen on streams as they will be heard; and what they give."""
