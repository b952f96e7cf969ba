"""The exceptions of the project, each with the reason it exists.

DiamondsError               whatever a caller may want to catch and show: its text is plain language
├── ConfigurationError      a setting or parameter cannot be used
├── DataError               a file of stones cannot be used at all (single bad rows are quarantined instead)
├── ModelError              a model quotes what is no price, or could not be trained
├── ArtefactError           a saved pricer is missing, damaged or foreign
├── DatabaseError           the database cannot be reached
│   └── SchemaBehindError   it can, but its tables are behind
├── NoSuchModelError        a model or version was asked for that no run made, or that cannot be meant
├── SaleConflictError       a stone was sold already, for another price
├── PromotionConflictError  the champion changed while a challenger was being judged
├── FeedError               a feed answers what cannot be learned from, and will again
├── StreamConflictError     another process learns from the same feed, or what was learned is not of this configuration
├── WorkersError            the processes that share the work of a run are lost, or do not answer
├── BusyError               what only one may do at a time is being done
└── UntaughtError           a learner was asked before it had learned anything
"""


class DiamondsError(Exception):
    """Something a person should read: the message says what, where and what to do."""


class ConfigurationError(DiamondsError):
    """A setting or a parameter cannot be used."""


class DataError(DiamondsError):
    """A file of stones cannot be used at all."""


class ModelError(DiamondsError):
    """A model cannot be used: what it quotes is no price, or it could not be trained."""


class ArtefactError(DiamondsError):
    """A saved pricer is missing, damaged or foreign."""


class DatabaseError(DiamondsError):
    """The database cannot be reached."""


class SchemaBehindError(DatabaseError):
    """The database's tables are older than this version of the project needs."""


class NoSuchModelError(DiamondsError):
    """A model or version was asked for that no run made, or that cannot be meant."""


class SaleConflictError(DiamondsError):
    """A stone was sold already, for another price."""


class PromotionConflictError(DiamondsError):
    """The champion changed while a challenger was being judged."""


class FeedError(DiamondsError):
    """A feed answers what cannot be learned from, and asking again does not help."""


class StreamConflictError(DiamondsError):
    """Another process learns from the same feed, or what was learned so far is not of this configuration."""


class BusyError(DiamondsError):
    """Another process does what only one may do at a time."""


class WorkersError(DiamondsError):
    """The processes that share the work of a run are lost, or do not answer."""


class UntaughtError(DiamondsError):
    """A learner was asked before it had learned anything."""
