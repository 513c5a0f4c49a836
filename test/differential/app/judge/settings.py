"""As far as a request's reading goes, what Flagsmith's settings say (docs/flagsmith.md)."""

SECRET_KEY = "of no use outside the tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "judge.urls"
USE_TZ = True
LOGGING_CONFIG = None
USE_X_FORWARDED_HOST = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
REST_FRAMEWORK = {
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_AUTHENTICATION_CLASSES": ["judge.access.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["judge.access.IsSignedIn"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
}
