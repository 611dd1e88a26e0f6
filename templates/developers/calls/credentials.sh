curl -X POST {{ hub.base_url }}/ocpi/2.2/credentials \
  -H "Authorization: Token YOUR_INITIAL_TOKEN" -H "Content-Type: application/json" \
  -d '{"token": "YOUR_SERVER_TOKEN", "url": "https://your-backend.com/ocpi/versions",
       "roles": [{"role": "{{ guide.role }}", "business_details": {"name": "{{ guide.name }}"}}]}'
