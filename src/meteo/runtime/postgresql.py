"""Connections to PostgreSQL that never wait for ever."""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Result = TypeVar("Result")


class Connection(psycopg.Connection[Any]):
    """Gives up a server that says nothing for `patience` seconds.

    The server's own limits do not help where it is frozen or no longer reached, and keepalives are answered by its
    kernel: only who waits can end the waiting. A connection that was given up is closed: no pool lends it again.
    """

    patience = 0.0

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # not the server's word
                self.pgconn.finish()
            raise


def open_connection(patience: float, *address: Any, **parameters: Any) -> Connection:
    connection = Connection.connect(*address, **parameters)
    connection.patience = patience
    return connection


def parameters(statement: float, lock: float, options: str = "") -> dict[str, Any]:
    """What to connect with: the server ends statements and waits for locks after so many seconds, and a peer that is
    gone is noticed. `options` are those the address has."""
    limits = f"-c statement_timeout={statement * 1000:.0f} -c lock_timeout={lock * 1000:.0f}"
    return {
        "connect_timeout": 2,
        "options": f"{options} {limits}".strip(),
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }
