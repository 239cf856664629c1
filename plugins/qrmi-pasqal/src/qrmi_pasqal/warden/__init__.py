"""A QPU of Pasqal on premises, behind the Warden middleware."""
