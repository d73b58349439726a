import type { AccessPolicy } from '../access/policy.ts'
import type { JobQueue } from '../jobs/queue.ts'
import type { RecordsSource } from '../storage/storage.ts'
import type { Events } from '../telemetry/events.ts'

/** What the service of a resource is made of. */
export interface ResourceDeps {
  /** Opened with the first row. */
  readonly records: RecordsSource
  readonly policy: AccessPolicy
  readonly events: Events
  readonly jobs: JobQueue
  /** Corral's home: a folder for what is kept in files. */
  readonly home: string
}

/** The service behind the routes of a resource, as data: `resources.of(definition)` gives it to a handler or a job. */
interface ResourceDefinition<Service> {
  /** For messages. */
  readonly name: string
  create(deps: ResourceDeps): Service
}

export function defineResource<Service>(definition: ResourceDefinition<Service>): ResourceDefinition<Service> {
  return definition
}

/** The services of one server, each created on first use. */
export interface Resources {
  of<Service>(definition: ResourceDefinition<Service>): Service
}

/** @param deps called on first use of a service */
export function createResources(deps: () => ResourceDeps): Resources {
  const services = new Map<ResourceDefinition<unknown>, unknown>()
  return {
    of<Service>(definition: ResourceDefinition<Service>): Service {
      if (!services.has(definition)) services.set(definition, definition.create(deps()))
      return services.get(definition) as Service
    },
  }
}
