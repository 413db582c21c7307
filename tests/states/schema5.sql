BEGIN TRANSACTION;
CREATE TABLE commands (
	number INTEGER NOT NULL, 
	verb VARCHAR(16) NOT NULL, 
	job_id VARCHAR(16), 
	argument TEXT, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE history (
	number INTEGER NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	at BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "history" VALUES(1,'aaaaaaaa',1790000000000,'found','');
INSERT INTO "history" VALUES(2,'bbbbbbbb',1790000000000,'ready','');
INSERT INTO "history" VALUES(3,'cccccccc',1790000000000,'ready','');
INSERT INTO "history" VALUES(4,'dddddddd',1790000000000,'found','');
INSERT INTO "history" VALUES(5,'eeeeeeee',1790000000000,'rendering','');
INSERT INTO "history" VALUES(6,'ffffffff',1790000000000,'done','');
CREATE TABLE jobs (
	id VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	folder BLOB NOT NULL, 
	image BLOB NOT NULL, 
	image_size BIGINT NOT NULL, 
	image_mtime_ns BIGINT NOT NULL, 
	sidecar BLOB, 
	sidecar_size BIGINT, 
	sidecar_mtime_ns BIGINT, 
	created_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	prompt TEXT, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	fit VARCHAR(16), 
	focus VARCHAR(64), 
	priority INTEGER NOT NULL, 
	take INTEGER DEFAULT '1' NOT NULL, 
	order_key VARCHAR(64), 
	reference_key VARCHAR(64), 
	likeness VARCHAR(64), 
	attempts INTEGER NOT NULL, 
	retry_state VARCHAR(16), 
	reason TEXT NOT NULL, 
	mend TEXT NOT NULL, 
	obstacle TEXT DEFAULT '' NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	reference_digest VARCHAR(64) DEFAULT '' NOT NULL, 
	note TEXT NOT NULL, 
	price BIGINT, 
	token VARCHAR(64), 
	submitted_at BIGINT, 
	lost_at BIGINT, 
	misses INTEGER NOT NULL, 
	losses INTEGER DEFAULT '0' NOT NULL, 
	reorders INTEGER DEFAULT '0' NOT NULL, 
	lost_reason TEXT DEFAULT '' NOT NULL, 
	witness_until BIGINT, 
	video_id TEXT, 
	progress INTEGER, 
	unwatched_ms BIGINT DEFAULT '0' NOT NULL, 
	generations INTEGER NOT NULL, 
	charged VARCHAR(8) NOT NULL, 
	clip BLOB, 
	filed BLOB NOT NULL, 
	lease_owner VARCHAR(128), 
	lease_until BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('aaaaaaaa','found',X'',X'612E6A7067',9,9,X'612E79616D6C',5,9,1790000000000,1790000000000,1790000000000,'waves a','sora-2','1280x720',8,'crop','centre',0,1,NULL,NULL,'4642a46b752b1eefd28368429c4860e92475ff1efbaeac8b5fb5ea9ad4cd3ee4',0,NULL,'','','','','','',NULL,NULL,NULL,NULL,0,0,0,'',NULL,NULL,NULL,0,0,'no',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('bbbbbbbb','ready',X'616E6E61',X'622E6A7067',9,9,X'622E79616D6C',5,9,1790000000000,1790000000000,1790000000000,'waves b','sora-2','1280x720',8,'crop','centre',0,1,'c51cda2a04a2d2a557ee5a56ef43f04eb8812ecc0781b03df77e731f38c04c70',NULL,'ec08f8948c854feab3cbced32c2ef7d44c02209bce637a44dbf527a499d77a2d',0,NULL,'','','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','',NULL,NULL,NULL,NULL,0,0,0,'',NULL,NULL,NULL,0,0,'no',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('cccccccc','ready',X'616E6E612F6F6C64',X'632E6A7067',9,9,X'632E79616D6C',5,9,1790000000000,1790000000000,1790000000000,'waves c','sora-2','1280x720',8,'crop','centre',3,1,'271294cf4c87659314a228d4a5dafb53675bec692b9b7a47a06811cac1b12409',NULL,'d75982b72fe2ef2c815012285ac2432ac913b048d95477471cc3bb89b6403e48',0,NULL,'','','','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','','',NULL,NULL,NULL,NULL,0,0,0,'',NULL,NULL,NULL,0,0,'no',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('dddddddd','found',X'7472FC622F312F32',X'642E6A7067',9,9,X'642E79616D6C',5,9,1790000000000,1790000000000,1790000000000,'waves d','sora-2','1280x720',8,'crop','centre',0,1,NULL,NULL,'c04fabdf8d628829c403a8ce5cd8009c1e36fe3833e5260b33a9c2c4ad2bd6f0',0,NULL,'','','','','','',NULL,NULL,NULL,NULL,0,0,0,'',NULL,NULL,NULL,0,0,'no',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('eeeeeeee','rendering',X'62656E',X'652E6A7067',9,9,X'652E79616D6C',5,9,1790000000000,1790000000000,1790000000000,'waves e','sora-2','1280x720',8,'crop','centre',0,1,'3be7f5834358d3f0e3c6b09c940b9b0ad9da0595d18b68264a848c10e4c9b909',NULL,'79c10239441f0406af6257254a3ba8f516ec69c3426cfe0f403569cc4e66dc1e',0,NULL,'','','','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','','',800000,'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1790000000000,NULL,0,0,0,'',NULL,'video_e',NULL,0,0,'perhaps',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('ffffffff','done',X'62656E',X'662E6A7067',9,9,X'662E79616D6C',5,9,1790000000000,1790000000000,1790000000000,'waves f','sora-2','1280x720',8,'crop','centre',0,1,'ff0ce725970a3f89f6844d73396a73de6d4cf24bf7f11cccf81b61a52e1aef98',NULL,'05b126d205981dc64f75c146d526f7d0133362ed36578c194aedcccf75e37f5d',0,NULL,'','','','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','','',800000,'ffffffffffffffffffffffffffffffff',1790000000000,NULL,0,0,0,'',NULL,'video_f',NULL,0,0,'yes',X'62656E2F662E6D7034',X'662E6A706700662E79616D6C',NULL,NULL);
CREATE TABLE notes (
	"key" VARCHAR(32) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "notes" VALUES('schema','5');
CREATE TABLE purchases (
	token VARCHAR(64) NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	order_key VARCHAR(64) NOT NULL, 
	likeness VARCHAR(64) NOT NULL, 
	at BIGINT NOT NULL, 
	micros BIGINT, 
	standing VARCHAR(16) NOT NULL, 
	video_id TEXT, 
	folder BLOB, 
	image BLOB, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	clip BLOB, 
	take INTEGER DEFAULT '1' NOT NULL, 
	reference_key VARCHAR(64), 
	PRIMARY KEY (token)
);
INSERT INTO "purchases" VALUES('eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','eeeeeeee','3be7f5834358d3f0e3c6b09c940b9b0ad9da0595d18b68264a848c10e4c9b909','79c10239441f0406af6257254a3ba8f516ec69c3426cfe0f403569cc4e66dc1e',1790000000000,800000,'open','video_e',X'62656E',X'652E6A7067','sora-2','1280x720',8,NULL,1,NULL);
INSERT INTO "purchases" VALUES('ffffffffffffffffffffffffffffffff','ffffffff','ff0ce725970a3f89f6844d73396a73de6d4cf24bf7f11cccf81b61a52e1aef98','05b126d205981dc64f75c146d526f7d0133362ed36578c194aedcccf75e37f5d',1790000000000,800000,'open','video_f',X'62656E',X'662E6A7067','sora-2','1280x720',8,NULL,1,NULL);
CREATE INDEX jobs_by_order ON jobs (order_key);
CREATE INDEX jobs_by_take ON jobs (take);
CREATE INDEX jobs_by_likeness ON jobs (likeness, state);
CREATE INDEX jobs_by_state ON jobs (state, due_at);
CREATE INDEX jobs_by_reference ON jobs (reference_key);
CREATE INDEX purchases_by_order ON purchases (order_key);
CREATE INDEX purchases_by_likeness ON purchases (likeness);
CREATE INDEX purchases_by_time ON purchases (at);
CREATE INDEX purchases_by_video ON purchases (video_id);
CREATE INDEX purchases_by_reference ON purchases (reference_key);
CREATE INDEX ix_history_job_id ON history (job_id);
COMMIT;
