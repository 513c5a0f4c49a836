"""The application that gunicorn runs: Django's, and the journal around it."""

import io
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "judge.settings"

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.core.handlers.wsgi import WSGIRequest  # noqa: E402

from judge import journal  # noqa: E402

_django = get_wsgi_application()


def application(environ, start_response):
    """Answers the request, once its line is in the journal."""
    journal.begin()
    statuses = []

    def start(status, headers, exc_info=None):
        statuses.append(int(status[:3]))
        return start_response(status, headers, exc_info)

    # Django changes what is in the environment; this is as gunicorn left it.
    reached = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "script": environ["SCRIPT_NAME"],
        "query": environ["QUERY_STRING"],
        "secure": WSGIRequest({**environ, "wsgi.input": io.BytesIO()}).is_secure(),
    }
    answer = _django(environ, start)
    journal.end(**reached, status=statuses[-1])
    return answer
