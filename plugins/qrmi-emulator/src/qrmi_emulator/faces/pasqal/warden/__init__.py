"""Warden, the API of Pasqal's QPUs on premises."""
