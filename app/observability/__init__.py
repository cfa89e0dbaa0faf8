"""Logs, metrics and health checks: what operators see."""
