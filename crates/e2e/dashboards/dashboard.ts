// What Grafana reads from the JSON of a dashboard.
export type {Dashboard} from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
