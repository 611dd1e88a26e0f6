curl -X POST {{ hub.base_url }}/ocpi/2.2/cdrs \
  -H "Authorization: Token YOUR_CRED_TOKEN" -H "Content-Type: application/json" \
  -d '{"id": "CDR_98765", "start_date_time": "2024-03-15T14:00:00Z", "stop_date_time": "2024-03-15T15:30:00Z",
       "auth_id": "DE8ACC12", "auth_method": "AUTH_REQUEST",
       "total_cost": {"excl_vat": 15.00, "incl_vat": 18.00}, "total_energy": 45.5,
       "currency": "EUR", "party_id": "FRA", "country_code": "FR"}'
