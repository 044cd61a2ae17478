<?php
// Makes the tables where they are missing, and puts a deployment into the queue.
//
//   php dispatch.php SOCKET DATABASE JSON
declare(strict_types=1);

require __DIR__ . '/bootstrap.php';

[, $socket, $file, $json] = $argv;
touch($file);
[, $queue, $database] = application($socket, $file);
$schema = $database->getConnection()->getSchemaBuilder();
if (!$schema->hasTable('jobs')) {
    $schema->create('jobs', static function ($table): void {
        $table->bigIncrements('id');
        $table->string('queue')->index();
        $table->longText('payload');
        $table->unsignedTinyInteger('attempts');
        $table->unsignedInteger('reserved_at')->nullable();
        $table->unsignedInteger('available_at');
        $table->unsignedInteger('created_at');
    });
    $schema->create('steps', static function ($table): void {
        $table->string('deployment');
        $table->string('step');
        $table->text('found');
        $table->primary(['deployment', 'step']);
    });
}
$queue->getConnection()->push(DeployWeb::class, json_decode($json, true, flags: JSON_THROW_ON_ERROR));
echo "queued\n";
