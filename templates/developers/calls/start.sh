curl -X POST {{ hub.base_url }}/ocpi/2.2.1/receiver/commands/START_SESSION \
  -H "Authorization: Token YOUR_CRED_TOKEN" -H "Content-Type: application/json" \
  -d '{"response_url": "https://your-backend.com/ocpi/results/1",
       "location_id": "SWT-001", "evse_uid": "SWT-E0011", "connector_id": "1",
       "token": {"country_code": "{{ guide.country_code }}", "party_id": "{{ guide.party_id }}", "uid": "012345678", "type": "RFID",
                 "contract_id": "DEEMPC12345678", "visual_number": "DE-EMP-C12345678",
                 "issuer": "{{ guide.name }}", "valid": true, "whitelist": "ALLOWED", "language": "en",
                 "last_updated": "2024-03-15T12:00:00Z"}}'
