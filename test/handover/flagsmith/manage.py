"""Stands in for Flagsmith: as much of its image as a script sees, with a JSON document for a database."""

import os
import sys
import time

if sys.argv[1:3] == ["shell", "-c"]:
    exec(sys.argv[3], globals())
elif sys.argv[1:] == ["serve"] and "STATE_URL" in os.environ:
    from server import serve

    serve(8000)
elif sys.argv[1:] == ["serve"]:
    while True:
        time.sleep(3600)
else:
    sys.exit("unknown command")
