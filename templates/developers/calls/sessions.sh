curl {{ hub.base_url }}/ocpi/2.2.1/sender/sessions \
  -H "Authorization: Token YOUR_CRED_TOKEN"
