/** Scopes of `Database.watch`. */
export const jobScopes = {
  /** A job may be due earlier than was known. */
  queued: 'jobs.queued',
  /** A running job is to stop. */
  cancelled: 'jobs.cancelled',
} as const
