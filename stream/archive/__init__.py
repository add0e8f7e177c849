"""Archives: many recordings, listened to by several processes, each exactly once whatever is killed meanwhile.

inventory.py        which recordings: folders, patterns, lists
recorded_at.py      when a recording began, by its name or its date
listener.py         one recording to records
crew.py             who listens, and what is heard from them
workers.py          a crew of processes that listen, replaced when they die or hang
ray_crew.py         a crew on a Ray cluster: tasks, given again when they die
ray_task.py         what runs there
journal.py          what has been listened to: one SQLite file, a row a recording
scan.py             all of it: what is left to do, progress, the files of results
result_tables.py    the journal as JSON lines, DCASE TSV or Parquet
closing_words.py    what it came to, as lines
archive_picture.py  what it came to, as a picture
"""
