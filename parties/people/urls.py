"""The portal: the way in, and the pages about people. Other apps add theirs beside it."""

from allauth.account import views as accounts
from django.urls import include, path, re_path

from parties.people import pages

entrance = [
    path("login/", accounts.login, name="account_login"),
    path("logout/", accounts.logout, name="account_logout"),
    path("signup/", accounts.signup, name="account_signup"),  # is closed, and says so
    path("inactive/", accounts.account_inactive, name="account_inactive"),
    path("reauthenticate/", accounts.reauthenticate, name="account_reauthenticate"),
    path("password/", accounts.password_change, name="account_change_password"),
    path("password/reset/", accounts.password_reset, name="account_reset_password"),
    path("password/reset/sent/", accounts.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/done/",
        accounts.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)/\Z",
        accounts.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("email/sent/", accounts.email_verification_sent, name="account_email_verification_sent"),
    path("email/<str:key>/", accounts.confirm_email, name="account_confirm_email"),
    path("2fa/", include("allauth.mfa.urls")),
]
urlpatterns = [
    path("", pages.entrance, name="portal_entrance"),
    path("account/", pages.account, name="portal_account"),
    path("account/", include(entrance)),
    path("invitation/<str:secret>/", pages.invitation, name="portal_invitation"),
    path("<party:code>/", pages.home, name="portal_home"),
    path("<party:code>/people/", pages.people, name="portal_people"),
    path("<party:code>/people/invite/", pages.invite, name="portal_invite"),
    path(
        "<party:code>/people/invitations/<int:invitation_id>/revoke/",
        pages.revoke,
        name="portal_revoke",
    ),
    path("<party:code>/people/<int:member_id>/", pages.member, name="portal_member"),
    path("<party:code>/people/<int:member_id>/remove/", pages.remove, name="portal_remove"),
    path("<party:code>/audit/", pages.audit, name="portal_trail"),
    path("<party:code>/audit/export.csv", pages.audit_export, name="portal_trail_export"),
]
