import { invalidRequest } from '../errors.ts'

/**
 * What both engines hold alike: text, numbers, bytes, null. What one of them would round, convert in its own way or reject is refused.
 * Throws TypeError and RangeError for our own mistakes, ApiError 400 for text that PostgreSQL cannot hold: it comes from a caller.
 */
export function checkParameters(parameters: readonly unknown[]): void {
  for (const value of parameters) checkParameter(value)
}

function checkParameter(value: unknown): void {
  switch (typeof value) {
    case 'string':
      if (value.includes('\0')) throw invalidRequest('Text with the character U+0000 cannot be stored.')
      return
    case 'bigint':
      if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) throw outOfRange(value)
      return
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError(`${value} cannot be stored`)
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw outOfRange(value)
      return
    default:
      if (value === null || value instanceof Uint8Array) return
      throw new TypeError(`a ${value instanceof Date ? 'Date' : typeof value} cannot be stored: pass text, a number, bytes or null`)
  }
}

/** Throws RangeError: the number would be rounded. */
export function outOfRange(value: bigint | number | string): RangeError {
  return new RangeError(`the integer ${value} exceeds 2^53 and would be rounded`)
}
