"""All settings of the project, read from the environment (the table is in README.md)."""

import os
import secrets
import sys
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from hub import mailing, services

django_stubs_ext.monkeypatch()  # lets ModelAdmin[Platform] and its like be written at run time

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str = "") -> str:
    """Return an environment variable, an empty one counting as absent."""
    return os.environ.get(name) or default


def env_bool(name: str, default: bool) -> bool:
    """Return a switch: 0, no, off and false are off, anything else is on."""
    value = env(name)
    return default if not value else value.lower() not in {"0", "no", "off", "false"}


def kept_secret(path: Path) -> str:
    """Return the secret kept in a file that only we can read, made on first use."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)  # whoever comes first wins, everyone reads the same
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


# What this hub is
ENVIRONMENT = env("ENVIRONMENT", "sandbox")
if ENVIRONMENT not in {"sandbox", "live"}:
    raise ImproperlyConfigured(f"ENVIRONMENT is sandbox or live, not {ENVIRONMENT!r}")
SANDBOX = ENVIRONMENT == "sandbox"
HOST, PORT = env("HOST", "127.0.0.1"), int(env("PORT", "8000"))
DATA_DIR = services.data_dir()
HUB_BASE_URL = env("HUB_BASE_URL", f"http://{HOST}:{PORT}").rstrip("/")
HUB_COUNTRY_CODE = env("HUB_COUNTRY_CODE", "XX").upper()
HUB_PARTY_ID = env("HUB_PARTY_ID", "OCN").upper()
HUB_NAME = "Open Charge Network"
ALLOW_PRIVATE_NETWORKS = env_bool("ALLOW_PRIVATE_NETWORKS", SANDBOX)
DEMO = env_bool("DEMO", SANDBOX)

# Security
DEBUG = False
if not SANDBOX and not env("SECRET_KEY"):
    raise ImproperlyConfigured("SECRET_KEY must be set when ENVIRONMENT=live")
SECRET_KEY = env("SECRET_KEY") or kept_secret(DATA_DIR / "secret-key")
ALLOWED_HOSTS = ["*"] if SANDBOX else [HUB_BASE_URL.split("://")[1].split("/")[0].split(":")[0]]
CSRF_TRUSTED_ORIGINS = [HUB_BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not SANDBOX
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = None if SANDBOX else ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if SANDBOX else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not SANDBOX
SECURE_REFERRER_POLICY = "same-origin"  # with none at all, browsers send "Origin: null" to forms
SESSION_COOKIE_SAMESITE = "Lax"  # links in mails lead to pages, also from a reader on the web
SESSION_COOKIE_AGE = 10 * 3600
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Application
INSTALLED_APPS = [
    "hub.admin.HubAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "hub",
    "parties",
    "locations",
    "cdrs",
    "settlement",
]
MIDDLEWARE = [
    "parties.listening.JournalMiddleware",
    "hub.ocpi.envelope.OcpiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "hub.urls"
WSGI_APPLICATION = "hub.wsgi.application"
APPEND_SLASH = False
AUTH_USER_MODEL = "parties.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/app/"

# The people of the parties: they come by invitation, and log in by e-mail and a second factor
ACCOUNT_ADAPTER = "parties.people.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_SIGNUP_ENABLED = False
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # who asks for strangers' passwords makes no mail
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_SESSION_REMEMBER = False
MFA_ADAPTER = "parties.people.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = HUB_NAME
MFA_REQUIRED = not SANDBOX  # of owners and finance in the portal, and of everybody at the admin

# The portal: what the apps have to say on its first page (names only)
PORTAL_NEEDS = [
    "parties.people.needs.of",
    "settlement.dispute_pages.home.needs_of",
    "settlement.needs.of",
]
PORTAL_CARDS = [
    "cdrs.cards.of",
    "settlement.cards.of",
    "settlement.dispute_pages.home.cards_of",
    "parties.people.cards.of",
]
EXPORT_ROWS = 200_000  # in one file: more are taken month by month

# The resolution centre: working days in which the hub rules, the amount from which two people rule,
# and what scans evidence: a callable that takes its bytes and type, and returns what is wrong
RULING_DAYS = 5
RULING_LIMIT = Decimal(env("RULING_LIMIT", "1000"))
EVIDENCE_SCANNER = env("EVIDENCE_SCANNER", "settlement.disputes.files.problem")

# Letters: to files in DATA_DIR/mail unless EMAIL_URL or EMAIL_HOST say where
globals().update(mailing.settings_of(os.environ, DATA_DIR / "mail"))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env(
    "EMAIL_FROM", f"{HUB_NAME} <hub@{urlsplit(HUB_BASE_URL).hostname}>"
)

# How often people may try to log in is counted for all processes together
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "parties_tries",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "hub.portal.chrome",
            ]
        },
    }
]
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}

# OCPI: which model keeps the objects of a module (names only; nothing is imported from here)
OCPI_MODELS = {
    "locations": "locations.Location",
    "tariffs": "locations.Tariff",
    "tokens": "cdrs.Token",
    "sessions": "cdrs.Session",
    "cdrs": "cdrs.Cdr",
    "hubclientinfo": "parties.ClientInfo",
}
OCPI_INTAKES = {"cdrs": "cdrs.intake.take"}  # how an object is taken, where not like all others

SILENT_SECONDS = int(env("SILENT_SECONDS", "300"))  # then a platform is asked whether it is there

# Too much: calls a second of a platform, bad tokens a second of an address (0: no limit)
RATE_LIMIT = int(env("RATE_LIMIT", "0" if SANDBOX else "100"))
STRANGER_LIMIT = int(env("STRANGER_LIMIT", "20" if RATE_LIMIT else "0"))
TRUSTED_PROXIES = [ip_network(net) for net in env("TRUSTED_PROXIES").replace(",", " ").split()]
DISK_RESERVE = int(env("DISK_RESERVE", "0"))  # MiB; 0: a tenth of the disk, at most 2 GiB

# Who may read /metrics from elsewhere than this machine and private networks
METRICS_TOKEN = env("METRICS_TOKEN")
METRICS_DIR = DATA_DIR / "metrics"
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)  # is read when the client is imported

# The message journal: how long it is kept, and how often a process writes what it has noted
JOURNAL_DAYS = int(env("JOURNAL_DAYS", "30"))
JOURNAL_SECONDS = float(env("JOURNAL_SECONDS", "0.3"))  # 0: only when told to

# How long commands with their results are kept, and what eMSPs have said of tokens
ERRAND_DAYS = int(env("ERRAND_DAYS", "30"))
AUTHORIZATION_DAYS = int(env("AUTHORIZATION_DAYS", "30"))

# PostgreSQL holds the truth
_database = conninfo_to_dict(env("DATABASE_URL") or services.database_url(DATA_DIR))
_names = {
    name: _database.pop(name, None) for name in ("dbname", "user", "password", "host", "port")
}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _names["dbname"],
        "USER": _names["user"],
        "PASSWORD": _names["password"],
        "HOST": _names["host"],
        "PORT": _names["port"],
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # A host that vanished is noticed in half a minute, from both ends: it may hold locks.
        "OPTIONS": {
            "connect_timeout": 5,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,  # milliseconds
            "prepare_threshold": sys.maxsize,  # only what asks for it (hub/statements.py)
            "options": " ".join(
                [
                    "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5",
                    "-c tcp_keepalives_count=3 -c tcp_user_timeout=30000",
                    str(_database.pop("options", "")),
                ]
            ),
            **_database,  # sslmode and whatever else the URL says
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis wakes and spreads work; losing it costs time and nothing else
REDIS_URL = env("REDIS_URL") or services.redis_url(DATA_DIR)
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "max_retries": 0,  # an absent Redis costs a request nothing; the sweep finds the work
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ROUTES = {
    "settlement.*": {"queue": "documents"},
    "cdrs.*": {"queue": "documents"},
}
CELERY_TASK_DEFAULT_QUEUE = "deliveries"
CELERY_BEAT_SCHEDULE = {
    "sweep what is owed": {"task": "parties.sweep", "schedule": 2.0},
    "sweep results of commands": {
        "task": "parties.sweep_results",
        "schedule": 2.0,
        "options": {"expires": 5},
    },
    "ask silent platforms": {
        "task": "parties.probe",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "read the lists that are due": {
        "task": "parties.pull_due",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "send letters": {
        "task": "parties.send_letters",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "ask push-only platforms again": {"task": "parties.reconnect", "schedule": 300.0},
    "forget old exchanges": {"task": "parties.forget_exchanges", "schedule": crontab(minute="40")},
    "forget old commands": {"task": "parties.forget_errands", "schedule": crontab(minute="45")},
    "forget old authorisations": {
        "task": "cdrs.forget_authorizations",
        "schedule": crontab(minute="50"),
    },
    "close the months that are due": {
        "task": "settlement.close_due_periods",
        "schedule": crontab(minute="10"),
    },
    "look after money": {
        "task": "settlement.look_after_money",
        "schedule": crontab(minute="15"),
    },
    "look after disputes": {
        "task": "settlement.look_after_disputes",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "watch what was disputed": {
        "task": "settlement.watch_disputed",
        "schedule": crontab(minute="25"),
    },
    "check all invariants": {
        "task": "settlement.inspect",
        "schedule": crontab(hour="3", minute="20"),
    },
    "render what is missing": {"task": "settlement.render_missing", "schedule": 60.0},
    "price what had to wait": {
        "task": "cdrs.judge_waiting",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "judge held CDRs again": {
        "task": "cdrs.retry_held",
        "schedule": crontab(hour="3", minute="20"),
    },
    "learn what is usual": {
        "task": "cdrs.learn_norms",
        "schedule": crontab(hour="2", minute="40"),
    },
}

# Time, language, files
USE_TZ = True
TIME_ZONE = env("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = None
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "hub.static_files.StaticFiles"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "hub.logs.JsonLines"}},
    "filters": {"without paths": {"()": "hub.logs.WithoutPaths"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["without paths"],
        }
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "weasyprint": {"level": "ERROR"},
        "fontTools": {"level": "ERROR"},
        "urllib3": {"level": "ERROR"},  # its warnings hold the URLs that we call
    },
}
