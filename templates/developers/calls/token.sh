curl -X PUT {{ hub.base_url }}/ocpi/2.2.1/receiver/tokens/{{ guide.country_code }}/{{ guide.party_id }}/012345678 \
  -H "Authorization: Token YOUR_CRED_TOKEN" -H "Content-Type: application/json" \
  -d '{"country_code": "{{ guide.country_code }}", "party_id": "{{ guide.party_id }}", "uid": "012345678", "type": "RFID",
       "contract_id": "DEEMPC12345678", "visual_number": "DE-EMP-C12345678", "issuer": "{{ guide.name }}",
       "valid": true, "whitelist": "ALLOWED", "language": "en",
       "last_updated": "2024-03-15T12:00:00Z"}'
