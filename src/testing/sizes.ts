/** Whether tests run at their full size: in continuous integration, `npm run test:long` and `npm run test:services`. */
const isFull = process.env['CORRAL_TEST_SIZE'] === 'full'

/** How many times a property runs (`numRuns` of fast-check): `full` at full size, else a tenth of it, at least 30. */
export function runs(full: number): number {
  return isFull ? full : Math.min(full, Math.max(30, Math.ceil(full / 10)))
}
