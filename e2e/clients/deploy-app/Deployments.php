<?php
declare(strict_types=1);

use Illuminate\Database\Connection;

/** What is done of each deployment: a row a step, with what the step found out. */
final readonly class Deployments
{
    public function __construct(private Connection $database)
    {
    }

    /** Does a step, unless it is done; returns what it found out. @param callable(): array<string, mixed> $work @return array<string, mixed> */
    public function step(string $deployment, string $step, callable $work): array
    {
        $row = $this->database->table('steps')->where(compact('deployment', 'step'))->first();
        if ($row !== null) {
            return json_decode($row->found, true, flags: JSON_THROW_ON_ERROR);
        }
        echo "begins $step\n";
        $found = $work();
        $this->database->table('steps')->insert(compact('deployment', 'step') + ['found' => json_encode($found, JSON_THROW_ON_ERROR)]);
        echo "did $step\n";
        return $found;
    }
}
