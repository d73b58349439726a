import type { Egress } from '../../egress/egress.ts'
import { type DoctorCheck, type ClockReading, ok, warning } from './check.ts'

/** Milliseconds; more, and tokens look expired, and windows of limits begin at another time than elsewhere. */
const maxClockSkew = 30_000

/** Wraps an egress: the `Date` header (RFC 9110 §6.6.1) of every response is added to `readings`. */
export function watchClocks(egress: Egress, readings: ClockReading[], now: () => number = Date.now): Egress {
  return {
    async request(url, options) {
      const sentAt = now()
      const response = await egress.request(url, options)
      const reportedTime = Date.parse(response.headers.get('date') ?? '')
      // The server set the date between the two moments.
      if (typeof url === 'string' && !Number.isNaN(reportedTime))
        readings.push({ host: new URL(url).host, ahead: (sentAt + now()) / 2 - reportedTime })
      return response
    },
  }
}

export const clock: DoctorCheck = {
  name: 'clock',
  async find({ clocks }) {
    if (clocks.length === 0) return [ok('clock', 'not checked: no response had a Date header')]
    // One host with a wrong clock says nothing of this machine; the one in the middle does.
    const middle = clocks.toSorted((a, b) => a.ahead - b.ahead)[Math.floor(clocks.length / 2)] as ClockReading
    const seconds = Math.round(Math.abs(middle.ahead) / 1000)
    if (Math.abs(middle.ahead) <= maxClockSkew) return [ok('clock', `agrees with the clock of ${middle.host}`)]
    const way = middle.ahead > 0 ? 'ahead of' : 'behind'
    return [
      warning(
        'clock',
        `is ${seconds} s ${way} the clock of ${middle.host}`,
        'Synchronize the clock with NTP: it decides when tokens expire and limits reset.',
      ),
    ]
  },
}
