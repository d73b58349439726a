import { codeOf, databaseUnavailable } from './errors.ts'

/**
 * SQLSTATE classes and codes (PostgreSQL, appendix A) that mean that nothing is wrong with the statement: 08 connection, 53 resources,
 * 57P0x shutting down, 58 system error; 28, 3D000: not let in; 57014: took too long; 25006: a standby that does not take writes.
 */
const sqlStates = /^(08...|53...|57P0[1-5]|58...|28...|3D000|57014|25006|XX...)$/

/** Failures of sockets and names. */
const systemErrors =
  /^(ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|EAI_\w+|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENOENT|EACCES|ERR_TLS\w*|\w*CERT\w*|DEPTH_ZERO\w+|UNABLE_TO_\w+|ERR_SSL\w*)$/

/** What `pg` says without a code. */
const messages =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded|timeout expired|Query read timeout|Cannot use a pool|The server does not support SSL|Client was closed|There was an error establishing an SSL|unable to verify|self.signed cert|Hostname\/IP does not match)/i

export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = codeOf(error)
  if (error instanceof AggregateError) return error.errors.some(isUnreachable)
  return (code !== undefined && (sqlStates.test(code) || systemErrors.test(code))) || messages.test(error.message)
}

/** The connection itself is gone, so that another one may do. */
export function isDisconnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = codeOf(error) ?? ''
  return /^(08...|57P0[1-3]|ECONNRESET|EPIPE)$/.test(code) || /^(Connection terminated|Client has encountered)/.test(error.message)
}

export function translate(error: unknown): unknown {
  return isUnreachable(error) ? databaseUnavailable(error) : error
}

/** 40001 serialization_failure, 40P01 deadlock_detected. */
export function isSerializationFailure(error: unknown): boolean {
  const code = codeOf(error)
  return code === '40001' || code === '40P01'
}
