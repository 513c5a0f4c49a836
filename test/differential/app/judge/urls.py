"""Core's routes that change identities, in the order in which Core tries them."""

from django.urls import include, re_path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.routers import DefaultRouter

from judge import admin, sdk, settings_views


def router(prefix, viewset, basename):
    """A router with format suffixes, as Core's unnested ones are."""
    made = DefaultRouter()
    made.register(prefix, viewset, basename=basename)
    return made.urls


ENVIRONMENT = r"^environments/(?P<environment>[^/.]+)/"
IDENTITY = ENVIRONMENT + r"identities/(?P<identity>[^/.]+)/"
ADMIN_APPLICATIONS = "environments|identities|traits|features|multivariate|projects|organisations"
FEATURE = r"^projects/(?P<project>[^/.]+)/features/(?P<feature>[^/.]+)/"

api = [
    re_path(r"^identities/(?P<identifier>[-\w@%.]+)/traits/(?P<trait_key>[-\w.]+)$", sdk.TraitByPath.as_view()),
    re_path(r"^identities/(?P<identifier>[-\w@%.]+)/", sdk.IdentityByPath.as_view()),
    re_path(r"^flags/(?P<identifier>[-\w@%.]+)$", sdk.FlagsByPath.as_view()),
    re_path(r"^organisations/", include(router("", settings_views.Organisations, "organisation"))),
    re_path(r"^projects/", include(router("", settings_views.Projects, "project"))),
    re_path(FEATURE + "$", settings_views.FeatureDetail.as_view()),
    re_path(FEATURE + "mv-options/$", settings_views.OptionList.as_view()),
    re_path(FEATURE + "mv-options/(?P<option>[^/.]+)/$", settings_views.OptionDetail.as_view()),
    re_path(r"^projects/(?P<project>[^/.]+)/imports/launch-darkly/$", settings_views.LaunchDarklyImport.as_view()),
    re_path(r"^environments/", include(router("", settings_views.Environments, "environment"))),
    re_path(ENVIRONMENT + "identities/$", admin.IdentityList.as_view()),
    re_path(ENVIRONMENT + "featurestates/$", admin.EnvironmentStateList.as_view()),
    re_path(ENVIRONMENT + "featurestates/(?P<state>[^/.]+)/$", admin.EnvironmentStateDetail.as_view()),
    re_path(IDENTITY + "$", admin.IdentityDetail.as_view()),
    re_path(IDENTITY + "featurestates/$", admin.OverrideList.as_view()),
    re_path(IDENTITY + "featurestates/clone-from-given-identity/$", admin.CloneOverrides.as_view()),
    re_path(IDENTITY + "featurestates/(?P<state>[^/.]+)/$", admin.OverrideDetail.as_view()),
    re_path(IDENTITY + "traits/$", admin.TraitList.as_view()),
    re_path(IDENTITY + "traits/(?P<trait>[^/.]+)/$", admin.TraitDetail.as_view()),
    re_path(ENVIRONMENT + "cohorts/", include(router("", settings_views.Cohorts, "cohort"))),
    re_path(r"^features/", include(router("featurestates", admin.FeatureStates, "featurestate"))),
    re_path(r"^features/feature-import/(?P<environment>[0-9]+)$", settings_views.FeatureImport.as_view()),
    re_path(r"^auth/", include(router("users", settings_views.Users, "user"))),
    re_path(r"^flags/$", sdk.Flags.as_view()),
    re_path(r"^identities/$", sdk.Identities.as_view()),
    re_path(r"^traits/", include(router("", sdk.Traits, "trait"))),
]

urlpatterns = [
    re_path(r"^api/v1/", include(api)),
    re_path(rf"^admin/(?:{ADMIN_APPLICATIONS})/", csrf_exempt(settings_views.AdminForm.as_view())),
]
