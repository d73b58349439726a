/** Why a model could not be fetched, in words for people. */
export class PullError extends Error {
  /** `unreachable`: no response, another source may work; `busy`: another process fetches it; `failed`: all else. */
  readonly reason: 'unreachable' | 'busy' | 'failed'
  /** What to do about it. */
  readonly remedy: string | undefined

  constructor(message: string, detail: { reason?: PullError['reason']; remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: detail.cause })
    this.name = 'PullError'
    this.reason = detail.reason ?? 'failed'
    this.remedy = detail.remedy
  }
}

/** A failure of the file system, said so that its owner can act. */
export function diskError(error: unknown, path: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new PullError(`The disk that holds ${path} is full.`, {
      remedy: 'Free some space, or set CORRAL_HOME to a folder on another disk.',
      cause: error,
    })
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new PullError(`${path} cannot be written.`, { remedy: 'Set CORRAL_HOME to a folder that can be.', cause: error })
  }
  return error
}
