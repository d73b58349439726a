import { causeOf } from '../../telemetry/events.ts'
import { openTraceStore } from '../../telemetry/store/reader.ts'
import { storeRemedy } from '../traces-store.ts'
import { type DoctorCheck, failed, ok } from './check.ts'

/** Whether the trace store is readable: requests are served without it, so that a failure would stay unnoticed. */
export const traceStore: DoctorCheck = {
  name: 'trace store',
  async find({ loaded: { config } }) {
    const path = config.telemetry?.store?.path
    if (path === undefined) return []
    try {
      using store = await openTraceStore(path)
      return [ok('trace store', store ? `${path} is readable` : `${path} does not exist yet; the server creates it on first use`)]
    } catch (error) {
      return [failed('trace store', `${path} cannot be used: ${causeOf(error)}`, storeRemedy(error))]
    }
  },
}
