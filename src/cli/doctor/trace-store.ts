import { causeOf } from '../../telemetry/events.ts'
import { openTraceStore } from '../../telemetry/store/reader.ts'
import { storeRemedy } from '../traces-store.ts'
import { type DoctorCheck, failed, ok } from './check.ts'

/** Whether what is kept of requests on this machine can be read: serving goes on without, and nobody would notice. */
export const traceStore: DoctorCheck = {
  name: 'trace store',
  async find({ loaded: { config } }) {
    const path = config.telemetry?.store?.path
    if (path === undefined) return []
    try {
      using store = await openTraceStore(path)
      return [ok('trace store', store ? `${path} can be read` : `${path} is not there yet: the server makes it when it needs it`)]
    } catch (error) {
      return [failed('trace store', `${path} cannot be used: ${causeOf(error)}`, storeRemedy(error))]
    }
  },
}
