"""On-premises quantum computers, through the IBM Quantum System API (formerly Direct Access)."""
