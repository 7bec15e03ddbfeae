"""What the fork server imports: see `work.warm`. Nothing else imports this module."""

from schedc.mcp.work import warm

warm()
