import { ListContainersReqSchema, ListContainersRespSchema } from '@coold/proto';
import type { Podman } from '../podman/client.ts';
import { type Handler, handler } from './handler.ts';

/** The container verbs, by `command.type`. */
export function containerHandlers(podman: Podman): Record<string, Handler> {
  return {
    list_containers: handler(ListContainersReqSchema, ListContainersRespSchema, async (_request, signal) => ({
      containers: await podman.listContainers(signal),
    })),
  };
}
