curl {{ hub.base_url }}/ocpi/versions \
  -H "Authorization: Token YOUR_CRED_TOKEN"
